"""Games: who plays, in which order, and what each player looks at."""
