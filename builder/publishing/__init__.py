"""What `builder.publish` is made of.

`files` says what of a store is published, and how that differs from what is there;
`readiness` refuses what should not be; `hub` and `object_store` send it.
"""
