//! Serves a store: `serve STATE_DIR [ADDRESS [CALLS]]`, without credentials, until Ctrl-C. Prints the address once it listens.
//!
//! The file CALLS gets a line of JSON per call: its method, the names of its metadata and the fields that it sets.

use std::{fs::File, io::Write, sync::Mutex};

use openlattice_modal_server::{Access, Recorder, Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut config = ServerConfig::new(arguments.next().ok_or("usage: serve STATE_DIR [ADDRESS [CALLS]]")?);
    if let Some(address) = arguments.next() {
        config.listen = address.parse()?;
    }
    if let Some(calls) = arguments.next() {
        config.recorder = Some(recorder(File::create(calls)?));
    }
    config.access = Access::Open;
    let server = Server::bind(config).await?;
    #[expect(clippy::print_stdout, reason = "the caller reads the address from here")]
    {
        println!("{}", server.url());
    }
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.serve(interrupted).await?;
    Ok(())
}

fn recorder(file: File) -> Recorder {
    let file = Mutex::new(file);
    Recorder::new(move |call| {
        let line = serde_json::json!({
            "method": call.method, "metadata": call.metadata, "fields": call.fields,
        });
        let mut file = file.lock().expect("nothing panics while it is held");
        writeln!(file, "{line}").expect("the file of calls can be written");
    })
}
