// Signs requests to a store with SigV4 inside nginx, as nginx-s3-gateway does: canonical request, string to sign and the
// four HMACs of the key in each request (an njs of this age keeps nothing between requests), the time taken once.
import crypto from 'crypto';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SIGNED = 'host;x-amz-content-sha256;x-amz-date';

function mac(key, text) {
  return crypto.createHmac('sha256', key).update(text).digest();
}

function now(r) {
  return r.variables.gateway_now;
}

function instant() {
  return new Date().toISOString().replace(/[:-]|\.\d{3}/g, '');
}

function escaped(path) {
  return path.split('/').map(encodeURIComponent).join('/').replace(/[!'()*]/g, c => '%' + c.charCodeAt(0).toString(16).toUpperCase());
}

function authorization(r) {
  const v = r.variables, time = now(r), day = time.substring(0, 8);
  const canonical = [r.method, escaped(r.uri), '', 'host:' + v.gateway_host, 'x-amz-content-sha256:' + EMPTY, 'x-amz-date:' + time, '',
    SIGNED, EMPTY].join('\n');
  const scope = day + '/us-east-1/s3/aws4_request';
  const text = ['AWS4-HMAC-SHA256', time, scope, crypto.createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = mac(mac(mac(mac('AWS4' + v.gateway_secret, day), 'us-east-1'), 's3'), 'aws4_request');
  const signature = crypto.createHmac('sha256', key).update(text).digest('hex');
  return 'AWS4-HMAC-SHA256 Credential=' + v.gateway_access + '/' + scope + ', SignedHeaders=' + SIGNED + ', Signature=' + signature;
}

// nginx-s3-gateway's handler: reads go on to the location that forwards, anything else is not allowed.
function forward(r) {
  if (r.method !== 'GET' && r.method !== 'HEAD') {
    r.return(405);
    return;
  }
  r.internalRedirect('@store');
}

// And its filter: what the store tells of itself stays here.
function headers(r) {
  for (const name in r.headersOut) {
    if (name.toLowerCase().startsWith('x-amz-')) {
      delete r.headersOut[name];
    }
  }
}

export default {instant, authorization, forward, headers};
