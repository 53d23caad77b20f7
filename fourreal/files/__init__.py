"""Scene formats in and out: grid folders, scene folders, and what other programs read."""
