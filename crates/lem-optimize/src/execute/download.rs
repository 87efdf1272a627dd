//! Downloads a price list. The old book stays in force when this fails.

use crate::price::PriceRow;
use crate::price::feed::{FeedError, MAX_FEED_BYTES, aws_ec2, azure, own};
use std::path::Path;
use std::time::Duration;

/// Azure's public list of retail prices.
pub const AZURE: &str = "https://prices.azure.com/api/retail/prices?$filter=serviceName%20eq%20'Virtual%20Machines'%20and%20priceType%20eq%20'Consumption'";
/// Pages of Azure's list that are read.
pub const MAX_PAGES: usize = 1_000;
/// Time for one request.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Address of AWS's EC2 offer file of a region.
pub fn aws_address(region: &str) -> String {
    format!("https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/{region}/index.csv")
}

/// Rows of a file.
pub fn file(path: &Path) -> Result<Vec<PriceRow>, FeedError> {
    let what = path.display().to_string();
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|e| FeedError::Malformed { what: what.clone(), why: e.to_string() })?;
    if text.len() > MAX_FEED_BYTES {
        return Err(FeedError::TooLarge { what });
    }
    own(&what, &text)
}

/// Rows of Azure's list, from an address that tests may choose.
pub async fn from_azure(address: &str) -> Result<Vec<PriceRow>, FeedError> {
    let client = client("Azure retail prices")?;
    let (mut rows, mut next) = (vec![], Some(address.to_owned()));
    for _ in 0..MAX_PAGES {
        let Some(address) = next else { break };
        let (page, link) = azure(&text(&client, "Azure retail prices", &address).await?)?;
        rows.extend(page);
        next = link;
    }
    Ok(rows)
}

/// Rows of AWS's EC2 offer file.
pub async fn from_aws(address: &str) -> Result<Vec<PriceRow>, FeedError> {
    let what = "the AWS EC2 offer file";
    aws_ec2(&text(&client(what)?, what, address).await?)
}

fn client(what: &str) -> Result<reqwest::Client, FeedError> {
    let built = reqwest::Client::builder().timeout(TIMEOUT).build();
    built.map_err(|e| FeedError::Unreachable { what: what.to_owned(), why: e.to_string() })
}

async fn text(client: &reqwest::Client, what: &str, address: &str) -> Result<String, FeedError> {
    let unreachable =
        |e: reqwest::Error| FeedError::Unreachable { what: what.to_owned(), why: e.without_url().to_string() };
    let answer = client.get(address).send().await.and_then(reqwest::Response::error_for_status).map_err(unreachable)?;
    let bytes = read_bounded(answer, what, unreachable).await?;
    String::from_utf8(bytes).map_err(|e| FeedError::Malformed { what: what.to_owned(), why: e.to_string() })
}

/// The body, chunk by chunk, as long as it stays below the limit.
async fn read_bounded(
    mut answer: reqwest::Response,
    what: &str,
    unreachable: impl Fn(reqwest::Error) -> FeedError,
) -> Result<Vec<u8>, FeedError> {
    let mut bytes = vec![];
    while let Some(chunk) = answer.chunk().await.map_err(&unreachable)? {
        if bytes.len() + chunk.len() > MAX_FEED_BYTES {
            return Err(FeedError::TooLarge { what: what.to_owned() });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
