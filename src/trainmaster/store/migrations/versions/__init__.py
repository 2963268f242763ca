"""One file per change of the schema; `down_revision` chains them."""
