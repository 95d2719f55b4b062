"""What is promised about masks and about values per voxel: how much of a structure lies inside a wider mask, how large
it is, whether it is there at all, and how far a dose is off."""
