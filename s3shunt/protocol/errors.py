"""Every refusal, in S3's own words.

The class name is the error code on the wire. Errors are raised where they are
known and rendered once, by ``filters/errors``. Codes, statuses and messages are
those of the S3 API's error responses page.
"""

from typing import ClassVar
from xml.sax.saxutils import escape

_XML_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")
_XML_ILLEGAL.update(dict.fromkeys(range(0xD800, 0xE000), "\ufffd"))


class S3Error(Exception):
    """A refusal. ``details`` become elements of the document, ``headers`` of the answer.

    ``retry_after`` is in whole seconds.
    """

    status: ClassVar[int] = 500
    message: ClassVar[str] = ""

    def __init__(
        self, message: str = "", *, retry_after: int | None = None, headers: tuple[tuple[str, str], ...] = (), **details: str
    ) -> None:
        super().__init__(message or self.message)
        self.retry_after = retry_after
        self.headers = headers
        self.details = details

    @property
    def code(self) -> str:
        return type(self).__name__


def _error(name: str, status: int, message: str) -> type[S3Error]:
    return type(name, (S3Error,), {"status": status, "message": message, "__module__": __name__, "__doc__": message})


AccessDenied = _error("AccessDenied", 403, "Access Denied")
AuthorizationHeaderMalformed = _error("AuthorizationHeaderMalformed", 400, "The authorization header is malformed.")
AuthorizationQueryParametersError = _error(
    "AuthorizationQueryParametersError", 400, "Error parsing the X-Amz-Credential parameter."
)
BadDigest = _error("BadDigest", 400, "The Content-MD5 or checksum value that you specified did not match what the server received.")
BadRequest = _error("BadRequest", 400, "The request is not well formed.")
BucketAlreadyExists = _error("BucketAlreadyExists", 409, "The requested bucket name is not available.")
BucketAlreadyOwnedByYou = _error("BucketAlreadyOwnedByYou", 409, "The bucket that you tried to create already exists, and you own it.")
BucketNotEmpty = _error("BucketNotEmpty", 409, "The bucket you tried to delete is not empty.")
ConditionalRequestConflict = _error(
    "ConditionalRequestConflict", 409, "The conditional request cannot succeed due to a conflicting operation against this resource."
)
EntityTooLarge = _error("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size.")
EntityTooSmall = _error("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed object size.")
ExpiredToken = _error("ExpiredToken", 400, "The provided token has expired.")
GlacierExpeditedRetrievalNotAvailable = _error(
    "GlacierExpeditedRetrievalNotAvailable", 503, "Glacier expedited retrievals are currently not available, please try again later."
)
IncompleteBody = _error("IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header.")
InternalError = _error("InternalError", 500, "We encountered an internal error. Please try again.")
InvalidAccessKeyId = _error("InvalidAccessKeyId", 403, "The AWS access key ID that you provided does not exist in our records.")
InvalidArgument = _error("InvalidArgument", 400, "Invalid Argument")
InvalidBucketName = _error("InvalidBucketName", 400, "The specified bucket is not valid.")
InvalidBucketState = _error("InvalidBucketState", 409, "The request is not valid with the current state of the bucket.")
InvalidChunkSizeError = _error("InvalidChunkSizeError", 403, "Only the last chunk is allowed to have a size less than 8192 bytes")
InvalidDigest = _error("InvalidDigest", 400, "The Content-MD5 or checksum value that you specified is not valid.")
InvalidObjectState = _error("InvalidObjectState", 403, "The operation is not valid for the object's storage class")
InvalidPart = _error("InvalidPart", 400, "One or more of the specified parts could not be found.")
InvalidPartNumber = _error("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
InvalidPartOrder = _error("InvalidPartOrder", 400, "The list of parts was not in ascending order.")
InvalidRange = _error("InvalidRange", 416, "The requested range is not satisfiable")
InvalidRequest = _error("InvalidRequest", 400, "Invalid Request")
InvalidStorageClass = _error("InvalidStorageClass", 400, "The storage class you specified is not valid")
InvalidTag = _error("InvalidTag", 400, "The tag provided was not a valid tag.")
InvalidToken = _error("InvalidToken", 400, "The provided token is malformed or otherwise not valid.")
InvalidURI = _error("InvalidURI", 400, "Couldn't parse the specified URI.")
KeyTooLongError = _error("KeyTooLongError", 400, "Your key is too long")
MalformedXML = _error(
    "MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema"
)
MetadataTooLarge = _error("MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size")
MethodNotAllowed = _error("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
MissingContentLength = _error("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
MissingSecurityHeader = _error("MissingSecurityHeader", 400, "Your request was missing a required header.")
NoSuchBucket = _error("NoSuchBucket", 404, "The specified bucket does not exist")
NoSuchKey = _error("NoSuchKey", 404, "The specified key does not exist.")
NoSuchObjectLockConfiguration = _error(
    "NoSuchObjectLockConfiguration", 404, "The specified object does not have a ObjectLock configuration"
)
NoSuchTagSet = _error("NoSuchTagSet", 404, "The TagSet does not exist")
NoSuchUpload = _error("NoSuchUpload", 404, "The specified multipart upload does not exist.")
NoSuchVersion = _error("NoSuchVersion", 404, "The version ID specified in the request does not match an existing version.")
NotImplemented = _error("NotImplemented", 501, "A header or query you provided implies functionality that is not implemented.")  # noqa: A001
OperationAborted = _error(
    "OperationAborted", 409, "A conflicting conditional operation is currently in progress against this resource. Try again."
)
PreconditionFailed = _error("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
RequestTimeTooSkewed = _error(
    "RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."
)
RequestTimeout = _error(
    "RequestTimeout", 400, "Your socket connection to the server was not read from or written to within the timeout period."
)
RestoreAlreadyInProgress = _error("RestoreAlreadyInProgress", 409, "Object restore is already in progress")
ServiceUnavailable = _error("ServiceUnavailable", 503, "Service is unable to handle request.")
SignatureDoesNotMatch = _error(
    "SignatureDoesNotMatch",
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
)
SlowDown = _error("SlowDown", 503, "Please reduce your request rate.")
XAmzContentSHA256Mismatch = _error(
    "XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."
)


class ObjectLost(S3Error):
    """No copy of the bytes is left; loud, and never to be taken for an absent object."""

    status = 503
    message = "The bytes of this object are lost. Ask the operator."


def text(value: str) -> str:
    """Text as XML element content; what XML 1.0 cannot hold becomes U+FFFD."""
    return escape(value.translate(_XML_ILLEGAL), {"\r": "&#13;"})


def to_xml(error: S3Error, *, resource: str, request_id: str, host_id: str = "") -> bytes:
    """The one XML form of an error (S3 API, Error Responses)."""
    facts = {"Code": error.code, "Message": str(error), **error.details, "Resource": resource, "RequestId": request_id}
    if host_id:
        facts["HostId"] = host_id
    inner = "".join(f"<{tag}>{text(value)}</{tag}>" for tag, value in facts.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
