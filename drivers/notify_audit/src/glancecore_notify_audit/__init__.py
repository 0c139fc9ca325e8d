"""Events as an audit trail in files."""
