"""What people do with a calculator."""
