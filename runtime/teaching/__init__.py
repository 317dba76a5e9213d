"""Teaching a class: the quality of a frame, which frames are kept, and what to show next."""
