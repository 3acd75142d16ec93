"""What a module's report says: tables in, findings and actions out; one file a module, because notebooks hold no logic."""
