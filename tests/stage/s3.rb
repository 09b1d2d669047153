# An S3 client by the Ruby SDK: ruby s3.rb WORD BUCKET KEY [PATH]. Says what it learned as one line of JSON.

require "aws-sdk-s3"
require "digest"
require "json"
require "net/http"

WORD, BUCKET, KEY, PATH = ARGV
CLIENT = Aws::S3::Client.new(endpoint: ENV.fetch("AWS_ENDPOINT_URL"), region: "us-east-1", force_path_style: true, retry_limit: 0)
OBJECT = Aws::S3::Object.new(BUCKET, KEY, client: CLIENT)
MIB = 1 << 20

def fetched(url)
  answer = Net::HTTP.get_response(URI(url))
  { status: answer.code.to_i, type: answer["content-type"], sha256: Digest::SHA256.hexdigest(answer.body) }
end

def head
  seen = CLIENT.head_object(bucket: BUCKET, key: KEY)
  { size: seen.content_length, etag: seen.etag, storage_class: seen.storage_class, restore: seen.restore,
    metadata: seen.metadata, type: seen.content_type }
end

def put
  seen = File.open(PATH, "rb") do |file|
    CLIENT.put_object(bucket: BUCKET, key: KEY, body: file, storage_class: "GLACIER", content_type: "application/mxf",
                      metadata: { "title" => "Der Film" })
  end
  { etag: seen.etag }
end

def upload # in parts, several at once
  { done: OBJECT.upload_file(PATH, multipart_threshold: 5 * MIB, storage_class: "GLACIER", metadata: { "title" => "Der Film" }) }
end

def get
  CLIENT.get_object(bucket: BUCKET, key: KEY, response_target: PATH)
  { sha256: Digest::SHA256.file(PATH).hexdigest }
end

def range
  { body: CLIENT.get_object(bucket: BUCKET, key: KEY, range: "bytes=2-5").body.read.bytes }
end

def restore
  CLIENT.restore_object(bucket: BUCKET, key: KEY, restore_request: { days: 1, glacier_job_parameters: { tier: "Standard" } })
  { asked: true }
end

def list # a page for each key
  pages = CLIENT.list_objects_v2(bucket: BUCKET, max_keys: 1)
  { pages: pages.map { |page| page.contents.map { |item| [item.key, item.size, item.storage_class] } } }
end

def presigned
  fetched(OBJECT.presigned_url(:get, expires_in: 600))
end

def presigned_put
  url = URI(OBJECT.presigned_url(:put, expires_in: 600))
  answer = Net::HTTP.start(url.host, url.port) { |http| http.send_request("PUT", url.request_uri, File.binread(PATH)) }
  { status: answer.code.to_i, body: answer.body }
end

def url
  { url: OBJECT.presigned_url(:get, expires_in: 600) }
end

def wait # as a reader who knows nothing of tapes: again, until it is no busy document any more
  busy = 0
  loop do
    seen = CLIENT.get_object(bucket: BUCKET, key: KEY).body.read
    return { busy: busy, sha256: Digest::SHA256.hexdigest(seen) } unless seen.include?("<Status>busy</Status>")

    busy += 1
    sleep 0.2
  end
end

begin
  said = send(WORD)
rescue Aws::S3::Errors::ServiceError => error
  said = { error: error.code, status: error.context.http_response.status_code }
end
puts JSON.generate(said)
