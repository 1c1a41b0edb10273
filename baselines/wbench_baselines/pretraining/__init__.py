"""Foundation models of our own: what `wbench pretrain` trains, and the models that read the weights."""
