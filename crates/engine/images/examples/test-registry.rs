//! Starts two registries for tests, an open one and one with a password, each with an image of the machine's own programs, and
//! prints a line for each with the image's reference; both end with standard input.

use std::error::Error;
use std::io::{self, Read};

use openlattice_images::testing::registry::{Both, PASSWORD, USERNAME};

#[expect(clippy::print_stdout, reason = "this is a program")]
fn main() -> Result<(), Box<dyn Error>> {
    let Some(both) = Both::start("test-registry")? else { return Ok(()) };
    println!("open {}", both.public_image);
    println!("closed {} {USERNAME} {PASSWORD}", both.private_image);
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
