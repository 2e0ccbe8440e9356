"""The backends of JAX: `backend` has their classes, and `sharding` the operations on explicitly sharded arrays."""
