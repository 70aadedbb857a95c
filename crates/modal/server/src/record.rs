//! What calls look like, for comparisons of clients: names of methods, of metadata and of fields, never a value.

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use openlattice_modal_proto::{DESCRIPTORS, FileDescriptorSet};
use prost::Message;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};
use tonic::{Status, body::Body};

/// Deepest nesting that is looked into.
const DEPTH: usize = 50;

/// Receives what every call looks like. For tests; a server has none unless it is given one.
#[derive(Clone)]
pub struct Recorder(Arc<dyn Fn(RecordedCall) + Send + Sync>);

/// One call, without any of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedCall {
    /// Its path: `package.Service/Method`.
    pub method: String,
    /// The names of its metadata.
    pub metadata: BTreeSet<String>,
    /// The fields that are set in its messages, such as `definition.image_id`; one that our subset does not know is `#` and its number.
    pub fields: BTreeSet<String>,
}

impl Recorder {
    /// Makes one that hands each call to `take` when its request has been read or given up.
    pub fn new(take: impl Fn(RecordedCall) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Has a request recorded while it is read.
    pub(crate) fn tap(&self, request: http::Request<Body>) -> http::Request<Body> {
        let (parts, inner) = request.into_parts();
        let method = parts.uri.path().trim_start_matches('/').to_owned();
        let metadata = parts.headers.keys().map(|name| name.as_str().to_owned()).collect();
        let call = RecordedCall { method, metadata, fields: BTreeSet::new() };
        let tap = Tap { inner, unread: BytesMut::new(), call, recorder: self.clone() };
        http::Request::from_parts(parts, Body::new(tap))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// A request's body on its way, looked into.
struct Tap {
    inner: Body,
    unread: BytesMut,
    call: RecordedCall,
    recorder: Recorder,
}

impl Tap {
    /// Takes the whole messages out of what has come so far; each has a byte of flags and four of length before it.
    fn look(&mut self) {
        while let Some((head, rest)) = self.unread.split_at_checked(5) {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some(message) = rest.get(..length) else { return };
            let schema = Schema::get();
            if let Some(input) = schema.inputs.get(&self.call.method).filter(|_| head[0] == 0) {
                schema.walk(input, message, "", DEPTH, &mut self.call.fields);
            }
            self.unread.advance(5 + length);
        }
    }
}

impl http_body::Body for Tap {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.unread.extend_from_slice(data);
            self.look();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        (self.recorder.0)(std::mem::take(&mut self.call));
    }
}

/// Names of fields by their numbers, and the message type of each field that is a message.
type Fields = HashMap<u64, (String, Option<String>)>;

/// The protocol, as far as this takes to name fields.
struct Schema {
    messages: HashMap<String, Fields>,
    inputs: HashMap<String, String>,
}

impl Schema {
    fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(Self::read)
    }

    fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).expect("the descriptors are generated");
        let mut schema = Self { messages: HashMap::new(), inputs: HashMap::new() };
        for file in files.file {
            let package = file.package().to_owned();
            let mut left: Vec<_> =
                file.message_type.into_iter().map(|message| (format!(".{package}"), message)).collect();
            while let Some((scope, message)) = left.pop() {
                let name = format!("{scope}.{}", message.name());
                left.extend(message.nested_type.into_iter().map(|nested| (name.clone(), nested)));
                let fields = message.field.iter().map(|field| {
                    let number = u64::try_from(field.number()).unwrap_or_default();
                    (number, (field.name().to_owned(), field.type_name.clone()))
                });
                schema.messages.insert(name, fields.collect());
            }
            for service in &file.service {
                for method in &service.method {
                    let path = format!("{package}.{}/{}", service.name(), method.name());
                    schema.inputs.insert(path, method.input_type().to_owned());
                }
            }
        }
        schema
    }

    /// Names the fields of an encoded message, as deep as they nest. What is not an encoded message ends it.
    fn walk(&self, kind: &str, mut bytes: &[u8], prefix: &str, depth: usize, found: &mut BTreeSet<String>) {
        let known = self.messages.get(kind);
        while let Some(tag) = varint(&mut bytes) {
            let field = known.and_then(|fields| fields.get(&(tag >> 3)));
            let name = field.map_or_else(|| format!("#{}", tag >> 3), |(name, _)| name.clone());
            let path = format!("{prefix}{name}");
            let skipped = match tag & 7 {
                0 => varint(&mut bytes).map(|_| &[][..]),
                1 => take(&mut bytes, 8),
                2 => varint(&mut bytes).and_then(|length| take(&mut bytes, length)),
                5 => take(&mut bytes, 4),
                _ => None,
            };
            let Some(content) = skipped else { return };
            if let Some((_, Some(inner))) = field
                && self.messages.contains_key(inner)
                && depth > 0
            {
                self.walk(inner, content, &format!("{path}."), depth - 1, found);
            }
            found.insert(path);
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use openlattice_modal_proto::client::{Sandbox, SandboxCreateV2Request};

    #[test]
    fn fields_are_named_and_values_are_not() {
        let definition = Sandbox { image_id: "hush".to_owned(), timeout_secs: 5, ..Sandbox::default() };
        let request = SandboxCreateV2Request { definition: Some(definition), ..Default::default() };
        let mut encoded = request.encode_to_vec();
        // A field that the subset does not have: number 999, a varint.
        encoded.extend([0xb8, 0x3e, 1]);
        let mut found = BTreeSet::new();
        let schema = Schema::get();
        let input = &schema.inputs["modal.client.ModalClient/SandboxCreateV2"];
        schema.walk(input, &encoded, "", DEPTH, &mut found);
        let wanted = ["#999", "definition", "definition.image_id", "definition.timeout_secs"];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
        schema.walk(input, b"\xff\xff", "", DEPTH, &mut BTreeSet::new());
    }
}
