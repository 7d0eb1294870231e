//! `cargo xtask`: the one door to every chore of the repository.

mod s3;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of Atoll's repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Serve the folders of a directory as S3 buckets until interrupted.
    #[command(hide = true)]
    ServeS3 {
        /// The directory.
        directory: PathBuf,
        /// The one access key.
        #[arg(long)]
        key: String,
        /// Its secret.
        #[arg(long)]
        secret: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { chore } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match chore {
            Chore::ServeS3 { directory, key, secret, listen } => {
                let (address, server) = s3::serve(&directory, &key, &secret, listen).await?;
                println!("serving {} on http://{address}", directory.display());
                tokio::signal::ctrl_c().await?;
                server.abort();
                Ok(())
            }
        }
    })
}
