"""The embedded synthetic benchmark: ray-cast rooms seen in RGB, depth and near-infrared."""
