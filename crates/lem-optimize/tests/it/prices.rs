//! Layers of a folder and lists from outside.

use lem_optimize::execute::download::{file, from_aws, from_azure};
use lem_optimize::price::book::{Book, MAX_LAYERS};
use lem_optimize::price::feed::{FeedError, MAX_FEED_BYTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HEADER: &str = "provider,service,sku,region,unit,price,currency,valid_from,source\n";

#[test]
fn layers_are_read_in_order_and_a_broken_one_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: &str| std::fs::write(folder.path().join(name), format!("{HEADER}{rows}")).unwrap();
    write("b.csv", "aws,x,y,*,hour,2,USD,2025-01-01,b\n");
    write("a.csv", "aws,x,y,*,hour,1,USD,2025-01-01,a\n");
    write("c.csv", "aws,x,y,*,hour,much,USD,2025-01-01,c\n");
    write("note.txt", "");
    let (layers, found) = Book::read_layers(folder.path());
    assert_eq!(layers.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["prices.d/a.csv", "prices.d/b.csv"]);
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("prices.d/c.csv:2: price \"much\" is not a decimal"));
    assert_eq!(Book::read_layers(&folder.path().join("nothing")).0.len(), 0);
}

#[test]
fn more_layers_than_the_limit_are_said() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..=MAX_LAYERS {
        std::fs::write(folder.path().join(format!("{n:03}.csv")), HEADER).unwrap();
    }
    let (layers, found) = Book::read_layers(folder.path());
    assert_eq!((layers.len(), found.len()), (MAX_LAYERS, 1));
    assert!(found[0].to_string().contains("at most 64 layers are read"));
}

#[test]
fn a_list_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.json");
    std::fs::File::create(&path).unwrap().set_len(MAX_FEED_BYTES as u64 + 1).unwrap();
    assert!(matches!(file(&path), Err(FeedError::TooLarge { .. })));
    assert!(matches!(file(&folder.path().join("none.json")), Err(FeedError::Malformed { .. })));
}

/// Answers every request with the same body.
async fn serve(body: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _read = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_list_is_downloaded_and_one_out_of_reach_is_said_to_be() {
    let item = r#"{"armSkuName":"Standard_B1s","armRegionName":"eastus","productName":"x","skuName":"B1s","retailPrice":0.0104,"currencyCode":"USD","effectiveStartDate":"2026-01-01T00:00:00Z","type":"Consumption"}"#;
    let address = serve(format!("{{\"Items\":[{item}],\"NextPageLink\":null}}")).await;
    let rows = from_azure(&address).await.unwrap();
    assert_eq!((rows.len(), rows[0].key.sku.as_str()), (1, "linux/standardb1s"));
    assert!(matches!(from_aws(&address).await, Err(FeedError::Malformed { .. })), "a page is no offer file");
    // A port that was just given back: nothing listens there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = from_aws(&format!("http://{free}/")).await;
    assert!(matches!(refused, Err(FeedError::Unreachable { .. })), "{refused:?}");
}
