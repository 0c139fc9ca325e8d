"""HTTP for whatever has routes: identity, errors, versions, OpenAPI. It knows no capability."""
