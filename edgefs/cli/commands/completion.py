"""Print a completion script for a shell.

examples:
  edgefs completion bash >> ~/.bashrc
  edgefs completion zsh >> ~/.zshrc
  edgefs completion fish > ~/.config/fish/completions/edgefs.fish
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.parser import children, words

# zsh reads bash's completions after bashcompinit.
BASH = """_edgefs() {{
  local words="{commands}"
  case "${{COMP_WORDS[*]:1:COMP_CWORD-1}} " in
{cases}
  esac
  COMPREPLY=($(compgen -o default -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _edgefs edgefs
"""
ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" + BASH


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that will read the script")


def run(args: argparse.Namespace) -> dict[str, Any]:
    after = _words()
    script = _fish(after) if args.shell == "fish" else _bash(after, ZSH if args.shell == "zsh" else BASH)
    print(script, end="")
    return {"shell": args.shell, "script": script}


def _words() -> dict[str, list[str]]:
    """What may follow each command ("gallery") and subcommand ("gallery ls")."""
    from edgefs.cli import COMMANDS, build_parser

    found = {}
    for name, command in children(build_parser(COMMANDS)).items():
        found[name] = words(command)
        found |= {f"{name} {action}": words(leaf) for action, leaf in children(command).items()}
    return found


def _bash(after: dict[str, list[str]], script: str) -> str:
    longest_first = sorted(after.items(), key=lambda item: -len(item[0].split()))
    cases = "\n".join(f'    "{command} "*) words="{" ".join(following)}" ;;' for command, following in longest_first)
    return script.format(commands=" ".join(name for name in after if " " not in name), cases=cases)


def _fish(after: dict[str, list[str]]) -> str:
    names = " ".join(name for name in after if " " not in name)
    lines = [f"complete -c edgefs -n __fish_use_subcommand -f -a '{names}'"]
    for command, following in after.items():
        seen = " && ".join(f"__fish_seen_subcommand_from {part}" for part in command.split())
        for word in following:
            form = f"-l {word[2:]}" if word.startswith("--") else f"-f -a {word}"
            lines.append(f"complete -c edgefs -n '{seen}' {form}")
    return "\n".join(lines) + "\n"
