"""Every kind of adaptor and every training recipe against the head alone."""
