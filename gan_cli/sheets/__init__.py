"""What a generator has learned, shown: pictures of samples that belong together, written into a directory."""
