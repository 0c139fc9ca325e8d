"""Images, their data, tags, actions and locations."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

IMAGE = "/v2/images/{image_id}"

RULES = [
    rule(
        "add_image",
        f"{rules.ADMIN} or (role:member and {rules.OWN} and project_id:%(owner)s)",
        "Create an image.",
        ("POST", "/v2/images"),
    ),
    rule("get_image", rules.READER_OF_VISIBLE, "Show an image.", ("GET", IMAGE)),
    rule("get_images", rules.PROJECT_READER, "List images.", ("GET", "/v2/images")),
    rule(
        "modify_image",
        rules.OWNING_MEMBER,
        "Change an image.",
        ("PATCH", IMAGE),
        ("PUT", f"{IMAGE}/tags/{{tag}}"),
        ("DELETE", f"{IMAGE}/tags/{{tag}}"),
    ),
    rule("delete_image", rules.OWNING_MEMBER, "Delete an image.", ("DELETE", IMAGE)),
    rule("publicize_image", rules.ADMIN, "Make an image public.", ("PATCH", IMAGE)),
    rule("communitize_image", rules.OWNING_MEMBER, "Make an image a community image.", ("PATCH", IMAGE)),
    rule("download_image", rules.MEMBER_OF_VISIBLE, "Download image data.", ("GET", f"{IMAGE}/file")),
    rule(
        "download_from_store",
        rules.MEMBER_OF_VISIBLE,
        "Choose the store that image data is downloaded from.",
        ("GET", f"{IMAGE}/file?prefer={{stores}}"),
    ),
    rule(
        "upload_image",
        rules.OWNING_MEMBER,
        "Upload, stage or import image data.",
        ("PUT", f"{IMAGE}/file"),
        ("PUT", f"{IMAGE}/stage"),
        ("POST", f"{IMAGE}/import"),
    ),
    rule("deactivate", rules.OWNING_MEMBER, "Deactivate an image.", ("POST", f"{IMAGE}/actions/deactivate")),
    rule("reactivate", rules.OWNING_MEMBER, "Reactivate an image.", ("POST", f"{IMAGE}/actions/reactivate")),
    rule("copy_image", rules.ADMIN, "Copy an image to more stores.", ("POST", f"{IMAGE}/import")),
    rule("get_image_location", rules.PROJECT_READER, "See locations in an image.", ("GET", IMAGE)),
    rule("set_image_location", rules.OWNING_MEMBER, "Set locations by PATCH.", ("PATCH", IMAGE)),
    rule(
        "delete_image_location",
        rules.ADMIN,
        "Remove a location.",
        ("PATCH", IMAGE),
        ("DELETE", "/v2/stores/{store}/{image_id}"),
    ),
    rule(
        "add_image_location",
        f"{rules.SERVICE} or (role:member and {rules.OWN} and project_id:%(owner)s)",
        "Add a location.",
        ("POST", f"{IMAGE}/locations"),
    ),
    rule("fetch_image_location", rules.SERVICE, "Read the locations of an image.", ("GET", f"{IMAGE}/locations")),
]
