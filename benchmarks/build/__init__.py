"""Sets that people judge: paraphrase triples and aligned pairs."""
