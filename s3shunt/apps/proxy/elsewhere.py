"""Bytes that go past us, after everything was decided here."""

from collections.abc import Callable
from typing import Any

from s3shunt import relay
from s3shunt.apps.proxy.asked import Fields, path
from s3shunt.apps.proxy.options import Options
from s3shunt.connect import House
from s3shunt.context import Decision
from s3shunt.model import Identity
from s3shunt.policy import offload as policy
from s3shunt.protocol import presigned, sigv4
from s3shunt.relay import Head
from s3shunt.wsgi import Request, Response


class Elsewhere:
    """Answers that let the bytes go past us; None where they must not. What is said in them: ``policy/offload``."""

    def __init__(self, options: Options, house: House, host: str) -> None:
        self.options, self.house, self.host = options, house, host
        self.region = house.upstream(options.store).region
        self.public = (options.public or "").rstrip("/")

    def __call__(
        self, request: Request, decision: Decision, fields: Fields, query: Fields, credential: Callable[[Identity], tuple[str, str]]
    ) -> Response | None:
        way = {"accel": self._accel, "redirect": self._redirect}[self.options.offload]
        further = {*presigned.further(request.query)} - {"x-id"}
        asked = policy.Asked(operation=request.operation.name, version=request.ref.version, parameters=further, fields=fields)
        return way(request, decision, asked, query, credential)

    def _accel(self, request: Request, decision: Decision, asked: policy.Asked, query: Fields, credential: Any) -> Response | None:
        if request.fields.get(policy.ASKS) != "accel" or not policy.trusts(self.options.accel_peers, request.environ["REMOTE_ADDR"]):
            return None
        now = self.house.clock.now()
        if not policy.signed(asked, _known(request), now):
            return None
        head = relay.sign(
            Head("GET", path(request.ref), asked.fields), query, host=self.host, region=self.region,
            credential=credential(decision.identity), now=now,
        )  # fmt: skip
        request.context.notes["offload"] = "accel"
        told = policy.handed(head.target, head.fields, archives=request.context.store_archives)
        return Response(status="200 OK", headerlist=told, app_iter=())

    def _redirect(self, request: Request, decision: Decision, asked: policy.Asked, query: Fields, credential: Any) -> Response | None:
        by_link = presigned.present(request.query)
        nobody = self.options.redirect_anonymous and decision.identity.anonymous and "host" in request.fields
        now, known = self.house.clock.now(), _known(request)
        read = (by_link or nobody) and policy.lasting(asked, known, now)
        open_body = by_link and presigned.payload(request.query, request.fields) == sigv4.UNSIGNED
        upload = self.options.redirect_uploads and open_body and policy.direct(asked, known, request.fields.by_name())
        if not (read or upload):
            return None
        location = policy.link(
            request.method, path(request.ref), query, asked.fields if upload else (), base=self.public, region=self.region,
            credential=credential(decision.identity), now=now, expires=self.options.redirect_expires,
        )  # fmt: skip
        request.context.notes["offload"] = "redirect"
        return Response(status="307 Temporary Redirect", headerlist=policy.moved(location), app_iter=())


def _known(request: Request) -> policy.Known:
    context = request.context
    searched = context.discover is not None or context.looked_up  # else no door "lookup" stands in front
    return policy.Known(plain=context.plain, searched=searched, looked_up=context.looked_up, entry=context.entry)
