"""Where the user is: fingerprints, first-path delays and angles, and what needs no channel at all."""
