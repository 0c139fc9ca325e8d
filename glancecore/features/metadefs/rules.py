"""Metadata definitions."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

ALL = "/v2/metadefs/namespaces"
ONE = f"{ALL}/{{namespace}}"
_SEES = f"{rules.ADMIN} or (role:reader and ({rules.OWN} or 'public':%(visibility)s))"
_WRITES = "rule:metadef_admin"

RULES: list[policy.RuleDefault] = [
    policy.RuleDefault("metadef_default", "", "What may be done with metadata definitions by default."),
    policy.RuleDefault("metadef_admin", "role:admin", "Who may write metadata definitions."),
    rule("get_metadef_namespace", _SEES, "Show a namespace.", ("GET", ONE)),
    rule(
        "get_metadef_namespaces",
        rules.PROJECT_READER,
        "List namespaces; check properties against them.",
        ("GET", ALL),
        ("POST", "/v2/metadefs/validate"),
    ),
    rule("add_metadef_namespace", _WRITES, "Create a namespace.", ("POST", ALL)),
    rule("modify_metadef_namespace", _WRITES, "Change a namespace.", ("PUT", ONE)),
    rule("delete_metadef_namespace", _WRITES, "Delete a namespace.", ("DELETE", ONE)),
    rule("get_metadef_object", _SEES, "Show an object.", ("GET", f"{ONE}/objects/{{name}}")),
    rule("get_metadef_objects", _SEES, "List objects.", ("GET", f"{ONE}/objects")),
    rule("add_metadef_object", _WRITES, "Create an object.", ("POST", f"{ONE}/objects")),
    rule("modify_metadef_object", _WRITES, "Change an object.", ("PUT", f"{ONE}/objects/{{name}}")),
    rule(
        "delete_metadef_object",
        _WRITES,
        "Delete an object, or all.",
        ("DELETE", f"{ONE}/objects/{{name}}"),
        ("DELETE", f"{ONE}/objects"),
    ),
    rule(
        "list_metadef_resource_types", _SEES, "List the known resource types.", ("GET", "/v2/metadefs/resource_types")
    ),
    rule(
        "get_metadef_resource_type",
        _SEES,
        "List what a namespace is associated with.",
        ("GET", f"{ONE}/resource_types"),
    ),
    rule(
        "add_metadef_resource_type_association",
        _WRITES,
        "Associate a namespace with a resource type.",
        ("POST", f"{ONE}/resource_types"),
    ),
    rule(
        "remove_metadef_resource_type_association",
        _WRITES,
        "End an association.",
        ("DELETE", f"{ONE}/resource_types/{{name}}"),
    ),
    rule("get_metadef_property", _SEES, "Show a property definition.", ("GET", f"{ONE}/properties/{{name}}")),
    rule("get_metadef_properties", _SEES, "List property definitions.", ("GET", f"{ONE}/properties")),
    rule("add_metadef_property", _WRITES, "Create a property definition.", ("POST", f"{ONE}/properties")),
    rule("modify_metadef_property", _WRITES, "Change a property definition.", ("PUT", f"{ONE}/properties/{{name}}")),
    rule(
        "remove_metadef_property",
        _WRITES,
        "Delete a property definition, or all.",
        ("DELETE", f"{ONE}/properties/{{name}}"),
        ("DELETE", f"{ONE}/properties"),
    ),
    rule("get_metadef_tag", _SEES, "Show a tag.", ("GET", f"{ONE}/tags/{{name}}")),
    rule("get_metadef_tags", _SEES, "List tags.", ("GET", f"{ONE}/tags")),
    rule("add_metadef_tag", _WRITES, "Create a tag.", ("POST", f"{ONE}/tags/{{name}}")),
    rule("add_metadef_tags", _WRITES, "Create many tags, replacing all or adding to them.", ("POST", f"{ONE}/tags")),
    rule("modify_metadef_tag", _WRITES, "Rename a tag.", ("PUT", f"{ONE}/tags/{{name}}")),
    rule("delete_metadef_tag", _WRITES, "Delete a tag.", ("DELETE", f"{ONE}/tags/{{name}}")),
    rule("delete_metadef_tags", _WRITES, "Delete all tags.", ("DELETE", f"{ONE}/tags")),
]
