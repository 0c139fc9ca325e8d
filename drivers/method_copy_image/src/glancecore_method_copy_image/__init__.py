"""More copies of an active image in other stores."""
