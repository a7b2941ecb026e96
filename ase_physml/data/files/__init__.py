"""Files of other people: what they may claim, and what is read from them.

Each kind is read in one place, whichever verb asks for it.
"""
