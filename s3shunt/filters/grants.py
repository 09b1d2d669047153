"""May they do this? Decided once, on everything the request names, and left for the doors behind.

The right comes from the table of operations (``read write delete list restore
admin``) and is checked on the object, on the source of a copy, on every key in a
DeleteObjects document, and on the prefix of a listing. Deny is what happens when
nothing allows. A key without ``grants`` may do everything within the buckets of
its account; one with ``grants = []`` nothing. Reading and restoring are two
rights: a desk may order films back that it cannot see. Changing ACLs, locks and
bucket configuration needs ``admin``, whichever header or subresource does it.
ListBuckets needs the right to list, and names the buckets in which one may.
Keys of a DeleteObjects that may not be deleted are left in the decision and
``record`` answers AccessDenied for each of them, as S3 does.

Nobody in particular may read the objects of buckets in ``anonymous_read`` (current
versions only) and list those in ``anonymous_list``; the store is then asked as ``anonymous_account``.

Where the store's bucket names are global, a caller may use a bucket that the catalog
says his account owns, or that the store itself lets his account HEAD; a yes is
remembered for ``remember``. What the store does not know is NoSuchBucket, what it
refuses AccessDenied. A mismatch of ``x-amz-expected-bucket-owner`` is AccessDenied.
A site with one store credential for all must set ``ownership = catalog``: the catalog alone says then whose
a bucket is (``record`` notes who made it), ListBuckets shows one's own, and no name is made twice.

A domain that ``virtual_host`` gives to an account is that account's alone: AccessDenied to every other. For nobody in
particular the store is asked there as that account.

A bucket that recalled copies land in (``[store:NAME] bucket``) is nobody's here: AccessDenied.
Where the store takes keys for paths (``[store:NAME] keys = paths``) one with ``//``, a backslash, or a segment
``.`` or ``..`` is InvalidURI: what is known here of ``a/b`` would not hold for ``a//b``, which is the same to the store.

It stands behind ``sigv4`` and in front of all that acts. May answer AccessDenied,
NoSuchBucket, BucketAlreadyExists, InvalidURI, MalformedXML, NotImplemented, ServiceUnavailable.

    [filter:grants]
    use = egg:s3shunt#grants
    anonymous_read = public-*
    anonymous_account = site
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from s3shunt import green, wsgi
from s3shunt.config import choice, duration, option, word, words
from s3shunt.connect import House
from s3shunt.context import Decision
from s3shunt.model import ANONYMOUS, Identity, ObjectRef
from s3shunt.policy import grants
from s3shunt.policy.grants import Anonymous, Asked
from s3shunt.protocol import addressing, buckets, delete
from s3shunt.protocol.errors import AccessDenied, BucketAlreadyExists, InvalidURI, MalformedXML, NoSuchBucket, ServiceUnavailable
from s3shunt.relay import Head, Limits, sign
from s3shunt.relay.endpoints import reached
from s3shunt.wsgi import Handler, Request, Response, document, taken

REMEMBERED = 10_000
OWNER, SOURCE_OWNER = "HTTP_X_AMZ_EXPECTED_BUCKET_OWNER", "HTTP_X_AMZ_SOURCE_EXPECTED_BUCKET_OWNER"
CATALOGUED = 1000
"""Milliseconds that the catalog's word is believed without asking again."""


@dataclass(frozen=True)
class Options:
    store: str = option(word, "main", help="The [store:NAME] whose buckets these are.")
    catalog: str = option(word, "main", help="The [catalog:NAME] that may know who owns a bucket.")
    ownership: str = option(
        choice("store", "catalog", "open"), "store",
        help="Who says which buckets an account may use, where names are global: the store, the catalog alone, or nobody (open).",
    )  # fmt: skip
    remember: int = option(duration, "60s", help="How long the store's yes to that is believed.")
    anonymous_read: tuple[str, ...] = option(words, "", help="Buckets (shell patterns) whose objects anyone may read.")
    anonymous_list: tuple[str, ...] = option(words, "", help="Buckets (shell patterns) whose keys anyone may list.")
    anonymous_account: str = option(word, "", help="Account as which the store is asked for the anonymous.")


class Grants:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.anonymous = Anonymous(options.anonymous_read or (), options.anonymous_list or ())
        upstream = house.upstream(options.store)
        self.per_account, self.paths = upstream.per_account, getattr(upstream, "paths", False)
        self.reserved = frozenset() if self.per_account else landings(house)
        self.owners = Owners(options, house)
        self.after = {"ListBuckets": self._named, "CreateBucket": self._changed, "DeleteBucket": self._changed}

    def __call__(self, request: Request) -> Response:
        context = request.context
        identity = context.identity or ANONYMOUS
        if not identity.access_key:
            identity = replace(ANONYMOUS, account=request.ref.account or self.options.anonymous_account or "")
        ref, operation = self._placed(request, identity), request.operation
        if grants.clear(identity, operation):
            decision, named = Decision(identity, operation, ref), (ref,)
        else:
            verdict = grants.decide(identity, self._asked(request, identity), self.anonymous)
            decision, named = Decision(identity, operation, ref, *verdict), {ref, *verdict.targets, *verdict.denied}
        self._check(request, identity, named)
        context.decision = decision
        after = self.after.get(operation.name)
        return self.forward(request) if after is None else after(request, self.forward(request))

    def _placed(self, request: Request, identity: Identity) -> ObjectRef:
        """What the request is about, in the account whose it is."""
        account = identity.account if self.per_account else ""
        if "ref" not in request.__dict__:  # nobody asked yet, so that it is made once, as it stays
            request.at(addressing.path_style(request.raw_path, request.parameters.get("versionId"), account))
        ref = request.ref
        if ref.account == account:
            return ref
        if ref.account not in ("", identity.account):
            raise AccessDenied
        ref = ObjectRef(ref.bucket, ref.key, ref.version, account)
        request.at(ref)
        return ref

    def _changed(self, request: Request, response: Response) -> Response:
        self.owners.forget(request.ref.bucket)
        return response

    def _named(self, request: Request, response: Response) -> Response:
        """A list of buckets with those alone that he may know of."""
        identity = request.context.decision.identity  # type: ignore[union-attr]  # which was made above
        if response.status_int != 200 or (identity.grants is None and not self._shared):
            return response
        return _only(response, lambda name: grants.shows(identity, name) and (not self._shared or self.owners.owns(identity, name)))

    @property
    def _shared(self) -> bool:
        """Whether accounts that the store takes for one are kept apart here."""
        return self.options.ownership == "catalog" and not self.per_account

    def _asked(self, request: Request, identity: Identity) -> Asked:
        operation = request.operation
        many = operation.name == "DeleteObjects" and not identity.anonymous  # of whom no document is read
        named = delete.targets(document(request), request.ref) if many else ()
        source = self._source(request) if operation.copies else None
        return Asked(operation, request.ref, request.fields, source, named, request.parameters.get("prefix", ""))

    def _source(self, request: Request) -> ObjectRef:
        return replace(addressing.copy_source(request.fields["x-amz-copy-source"]), account=request.ref.account)

    def _check(self, request: Request, identity: Identity, named: Collection[ObjectRef]) -> None:
        """What no right helps against. Raises InvalidURI, AccessDenied, NoSuchBucket, BucketAlreadyExists or ServiceUnavailable."""
        if self.paths and any(addressing.ambiguous(ref.key) for ref in named if ref.key):
            raise InvalidURI("The store behind this bucket would take the key for another one.")
        if self.reserved and any(ref.bucket in self.reserved for ref in named):
            raise AccessDenied
        own, environ = identity.account, request.environ
        if environ.get(OWNER, own) != own or environ.get(SOURCE_OWNER, own) != own:
            raise AccessDenied
        if self.per_account:
            return
        if request.operation.name == "CreateBucket":
            if self._shared:
                self.owners.free(identity, request.ref.bucket)
        elif request.ref.bucket:
            for bucket in {ref.bucket for ref in named}:
                self.owners.check(identity, bucket)


def landings(house: House) -> frozenset[str]:
    """Buckets of the workers, where recalled copies of everybody land: no client names them, whatever his credential could."""
    named = (house.ini.section("store", name).get("bucket") for name in house.ini.names("store"))
    return frozenset(bucket for bucket in named if bucket)


class Owners:
    """Which buckets of a store with global names an account may use."""

    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house
        self.upstream = house.upstream(options.store)
        self.relay = reached(self.upstream.endpoints, Limits(), timer=house.clock)
        self._known: OrderedDict[tuple[str, str | None, str], int] = OrderedDict()
        self._said: OrderedDict[str, str] = OrderedDict()  # owners as the catalog last told them

    def check(self, identity: Identity, bucket: str) -> None:
        """Raises AccessDenied, NoSuchBucket or ServiceUnavailable."""
        name = (identity.account, identity.store_access_key, bucket)
        if self.options.ownership == "open" or self._known.get(name, 0) > self.house.clock.now():
            return
        owner = self._owner(bucket)
        if owner and owner != identity.account:
            raise AccessDenied
        if not owner:
            self._ask(identity, bucket)
        self._known[name] = self.house.clock.now() + (CATALOGUED if owner else self.options.remember)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, bucket: str) -> None:
        """The bucket changed hands, or may have: whose it is, is asked anew."""
        for name in [name for name in self._known if name[2] == bucket]:
            del self._known[name]

    def _owner(self, bucket: str) -> str:
        if not self.house.has("catalog", self.options.catalog):
            return ""
        try:
            known = green.offload(self.house.truth(self.options.catalog).bucket, "", bucket)
        except ServiceUnavailable:
            if self.options.ownership == "catalog" and bucket not in self._said:
                raise
            return self._said[bucket] if self.options.ownership == "catalog" else ""
        owner = known.owner if known is not None else ""
        self._remember(bucket, owner)
        return owner

    def _remember(self, bucket: str, owner: str) -> None:
        """Nobody can give a bucket away while the catalog is: what it said last holds until it speaks again."""
        self._said.pop(bucket, None)
        if owner:
            self._said[bucket] = owner
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)

    def _ask(self, identity: Identity, bucket: str) -> None:
        if self.options.ownership == "catalog":
            raise AccessDenied
        status = self._head(identity, bucket)
        if status == 404:
            raise NoSuchBucket(BucketName=bucket)
        if status != 200:
            raise AccessDenied

    def _head(self, identity: Identity, bucket: str) -> int:
        """HEAD the bucket as the caller. Raises ServiceUnavailable when the store cannot say."""
        own = (identity.store_access_key or "", identity.store_secret_key or "")
        head = sign(
            Head("HEAD", addressing.escape(f"/{bucket}"), []), [], host=self.relay.host, region=self.upstream.region,
            credential=own if all(own) else self.upstream.credential(identity.account), now=self.house.clock.now(),
        )  # fmt: skip
        answer = self.relay.send(head, retry=True)
        answer.body.close()
        if answer.status >= 500:
            raise ServiceUnavailable(retry_after=1)
        return answer.status

    def free(self, identity: Identity, bucket: str) -> None:
        """The name is nobody's, or his already: the store could not tell, for it takes all accounts for one."""
        owner = self._owner(bucket)
        if owner != identity.account and (owner or self._head(identity, bucket) != 404):
            raise BucketAlreadyExists(BucketName=bucket)

    def owns(self, identity: Identity, bucket: str) -> bool:
        return self._owner(bucket) == identity.account


def _only(response: Response, wanted: Callable[[str], bool]) -> Response:
    """Raises ServiceUnavailable for what is no list of buckets."""
    listed = taken(response)
    try:
        listed = buckets.only(listed, {name for name in buckets.names(listed) if wanted(name)})
    except MalformedXML as error:
        raise ServiceUnavailable(retry_after=1) from error
    response.app_iter = [listed]
    response.headers["Content-Length"] = str(len(listed))
    return response


factory = wsgi.filter_factory(Grants, Options, "filter:grants")
