"""Several processes that train one run: each a share of every batch, all the same networks."""
