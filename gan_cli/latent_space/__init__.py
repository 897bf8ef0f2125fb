"""Ways through the space of a generator's input; tensors to tensors, whatever they are drawn as."""
