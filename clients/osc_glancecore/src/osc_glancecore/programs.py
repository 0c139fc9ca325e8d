"""``glance-upload`` and ``glance-download``: one file up, one image down, whatever breaks off. The cloud is said as to
``openstack``: OS_CLOUD, clouds.yaml, OS_* or --os-*."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import openstack
import openstack.exceptions
import tenacity
from keystoneauth1 import exceptions as keystone

from osc_glancecore import downloading, making
from osc_glancecore.bars import Bar
from osc_glancecore.files import Source
from osc_glancecore.memory import Begun
from osc_glancecore.service import Service, ServiceError, sentence
from osc_glancecore.uploading import Refused

#: What went wrong and is told in a sentence.
TOLD = (
    ServiceError,
    Refused,
    keystone.ClientException,
    openstack.exceptions.SDKException,
    OSError,
    ValueError,
    tenacity.RetryError,
)


def upload(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="glance-upload", description="Makes an image of a file. Broken off, the same command goes on where it was."
    )
    making.add_arguments(parser)
    parser.add_argument("--image", metavar="ID", help="an image that is there and has no data yet")
    return _run(parser, argv, _upload)


def download(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="glance-download",
        description=(
            "Makes a file of an image's data, by several requests at once. Broken off, the same command goes on."
        ),
    )
    parser.add_argument("image", metavar="IMAGE", help="its id, its name, or a reference such as debian/13@stable")
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    parser.add_argument(
        "--parallel", type=int, choices=range(1, 33), metavar="N", default=4, help="requests at once, 1 to 32; 4"
    )
    parser.add_argument(
        "--patience", metavar="SECONDS", type=float, default=600.0, help="for which a piece may not come; 600"
    )
    return _run(parser, argv, _download)


def _upload(service: Service, args: argparse.Namespace) -> str:
    source, how = Source.of(args.file), making.settings(args)
    body = {} if args.image else making.fields(args)
    begun = Begun(service, source, "upload", args.image, body, how.store)
    image = making.made(service, source, body, how, begun, args.image)
    begun.forget()
    return str(image["id"])


def _download(service: Service, args: argparse.Namespace) -> str:
    if args.file.exists() and not args.force:
        raise FileExistsError(f"{args.file} is there; say --force to replace it")
    how = downloading.Settings(parallel=args.parallel, patience=args.patience)
    image = downloading.found(service, args.image, how)
    bar = Bar(args.file.name, int(image["size"]))
    try:
        downloading.Download(service, image, args.file, how, bar).run()
    finally:
        bar.close()
    return str(image["id"])


def _run(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, work: Callable[[Service, argparse.Namespace], str]
) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    config = openstack.config.OpenStackConfig()
    config.register_argparse_arguments(parser, given, service_keys=["image"])
    args = parser.parse_args(given)
    try:
        cloud = openstack.connection.Connection(config=config.get_one(argparse=args))
        print(work(Service(cloud.image), args))
    except KeyboardInterrupt:
        print("broken off; the same command goes on", file=sys.stderr)
        return 130
    except keystone.MissingRequiredOptions as exc:
        print(
            f"{parser.prog}: {exc}; name a cloud of clouds.yaml by --os-cloud or OS_CLOUD, or say where it is by OS_*"
            " variables or --os-* options",
            file=sys.stderr,
        )
        return 1
    except TOLD as exc:
        print(f"{parser.prog}: {sentence(exc)}", file=sys.stderr)
        return 1
    return 0
