"""Enrolment: the quality of frames, which frames are kept, and advice on what to show next."""
