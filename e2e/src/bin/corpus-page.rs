//! Prints docs/CORPUS.md.

fn main() {
    print!("{}", e2e::films::page());
}
