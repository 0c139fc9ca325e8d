"""Images, their data, tags, actions and locations."""

from __future__ import annotations

from glancecore.policies import base
from glancecore.policies.base import rule

IMAGE = "/v2/images/{image_id}"

RULES = [
    rule("add_image", f"{base.ADMIN} or (role:member and {base.OWN} and project_id:%(owner)s)", "Create an image.",
         ("POST", "/v2/images")),
    rule("get_image", base.READER_OF_VISIBLE, "Show an image.", ("GET", IMAGE)),
    rule("get_images", base.PROJECT_READER, "List images.", ("GET", "/v2/images")),
    rule("modify_image", base.OWNING_MEMBER, "Change an image.", ("PATCH", IMAGE), ("PUT", f"{IMAGE}/tags/{{tag}}"),
         ("DELETE", f"{IMAGE}/tags/{{tag}}")),
    rule("delete_image", base.OWNING_MEMBER, "Delete an image.", ("DELETE", IMAGE)),
    rule("publicize_image", base.ADMIN, "Make an image public.", ("PATCH", IMAGE)),
    rule("communitize_image", base.OWNING_MEMBER, "Make an image a community image.", ("PATCH", IMAGE)),
    rule("download_image", base.MEMBER_OF_VISIBLE, "Download image data.", ("GET", f"{IMAGE}/file")),
    rule("download_from_store", base.MEMBER_OF_VISIBLE, "Choose the store that image data is downloaded from.",
         ("GET", f"{IMAGE}/file?prefer={{stores}}")),
    rule("upload_image", base.OWNING_MEMBER, "Upload, stage or import image data.", ("PUT", f"{IMAGE}/file"),
         ("PUT", f"{IMAGE}/stage"), ("POST", f"{IMAGE}/import")),
    rule("deactivate", base.OWNING_MEMBER, "Deactivate an image.", ("POST", f"{IMAGE}/actions/deactivate")),
    rule("reactivate", base.OWNING_MEMBER, "Reactivate an image.", ("POST", f"{IMAGE}/actions/reactivate")),
    rule("copy_image", base.ADMIN, "Copy an image to more stores.", ("POST", f"{IMAGE}/import")),
    rule("get_image_location", base.PROJECT_READER, "See locations in an image.", ("GET", IMAGE)),
    rule("set_image_location", base.OWNING_MEMBER, "Set locations by PATCH.", ("PATCH", IMAGE)),
    rule("delete_image_location", base.ADMIN, "Remove a location.", ("PATCH", IMAGE),
         ("DELETE", "/v2/stores/{store}/{image_id}")),
    rule("add_image_location", f"{base.SERVICE} or (role:member and {base.OWN} and project_id:%(owner)s)", "Add a location.",
         ("POST", f"{IMAGE}/locations")),
    rule("fetch_image_location", base.SERVICE, "Read the locations of an image.", ("GET", f"{IMAGE}/locations")),
]
