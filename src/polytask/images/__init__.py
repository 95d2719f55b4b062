"""Files to arrays and back; where voxels lie in the world. No torch, no cohort."""
