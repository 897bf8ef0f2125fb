"""How good samples are: functions of tensors, computed in float64."""
