"""A hook of MkDocs: linked files of the repository become part of the site, and each page has its language.

The pages in docs/ are also read in a checkout, where a link such as `../SECURITY.md` is right. The site has no parent
folder, so every linked file is added to it below project/, a Markdown file as a page, and the links are written anew.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|data:|#)([^)#\s]+)")
FOLDER = "project"
# A generated page that the site has in another form.
INSTEAD = {"docs/api.md": "docs/reference.md"}


def in_repository(uri: str) -> str:
    """Path below the root of the repository of a file of the site."""
    return uri.removeprefix(f"{FOLDER}/") if uri.startswith(f"{FOLDER}/") else f"docs/{uri}"


def in_site(path: str) -> str:
    """Path below the root of the site of a file of the repository."""
    path = INSTEAD.get(path, path)
    if path.endswith(".ipynb"):  # docs/notebooks.py makes a page of it
        path = path.replace(".ipynb", ".md")
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{FOLDER}/{path}"


def linked(path: str, text: str) -> dict[str, str]:
    """Each link of a page with the file of the repository that it leads to, if there is one."""
    targets = {link: posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) for link in LINK.findall(text)}
    return {link: target for link, target in targets.items() if (ROOT / target).is_file()}


def on_files(files, config):
    """Add the files that the navigation names, those that the pages link to, and those that these link to."""
    waiting = [file.src_uri for file in files.documentation_pages()]
    waiting += re.findall(rf"{FOLDER}/\S+\.md", Path(config.config_file_path).read_text(encoding="utf-8"))
    while waiting:
        uri = waiting.pop()
        path = in_repository(uri)
        if uri.startswith(f"{FOLDER}/"):
            if files.get_file_from_path(uri) is not None:
                continue
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
        if uri.endswith(".md"):
            targets = map(in_site, linked(path, (ROOT / path).read_text(encoding="utf-8")).values())
            waiting += [each for each in targets if each.startswith(f"{FOLDER}/")]
    return files


def on_page_markdown(markdown, page, config, files):
    """Write the links of a page as the site needs them."""
    places = linked(in_repository(page.file.src_uri), markdown)
    here = posixpath.dirname(page.file.src_uri) or "."
    return LINK.sub(
        lambda link: posixpath.relpath(in_site(places[link[0]]), here) if link[0] in places else link[0], markdown
    )


def on_page_context(context, page, config, nav):
    """Let the choice of the language lead to the same page in that language, where there is one."""
    english = page.file.dest_uri.removeprefix("zh/")
    chinese = f"zh/{english}"
    dest_uris = {each.file.dest_uri for each in nav.pages}
    for choice in config.extra["alternate"]:
        wanted, home = (english, "index.html") if choice["lang"] == "en" else (chinese, "zh/index.html")
        choice["link"] = wanted if wanted in dest_uris else home
    return context


def on_post_page(output, page, config):
    """State the language of a Chinese page, which screen readers and the browser's fonts depend on."""
    return output.replace('lang="en"', 'lang="zh-Hans"', 1) if page.file.src_uri.startswith("zh/") else output
