//! What is measured, logged and alerted, asked of a running loop.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Query {
    /// PromQL expression.
    pub expr: String,
    /// At this time, RFC 3339 or seconds; now when not given.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "step"])]
    pub time: Option<String>,
    /// A range up to now instead of one moment, such as 1h.
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Step of a range.
    #[arg(long, value_name = "DURATION", requires = "since", default_value = "15s")]
    pub step: String,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// LogQL query; everything when not given.
    #[arg(default_value = "{service_name=~\".+\"}")]
    pub query: String,
    /// How far back.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub since: String,
    /// Most lines.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Go on with what comes.
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, Subcommand)]
pub enum Silence {
    /// Silences that hold or will, with their ids.
    List {
        /// Those that are over too.
        #[arg(long)]
        expired: bool,
    },
    /// Nobody is told of alerts that match, for a while. Prints the id.
    Add {
        /// Matchers, such as alertname=ShopErrors or severity=~"page|ticket".
        #[arg(required = true)]
        matchers: Vec<String>,
        /// How long.
        #[arg(long = "for", value_name = "DURATION", default_value = "1h")]
        duration: String,
        /// Why.
        #[arg(long)]
        comment: String,
        /// Who; the user of this machine when not given.
        #[arg(long)]
        author: Option<String>,
    },
    /// Ends a silence now.
    Expire {
        /// Its id.
        id: String,
    },
}
