"""Published foundation models. Architectures are written anew from the papers; users bring the weights."""
