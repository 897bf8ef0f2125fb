"""What a terminal shows of a run while it trains: its samples, made of half blocks, and how far it is."""
