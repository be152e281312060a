//! Where bodies end: what is said of their length, in both directions and both versions of HTTP, and what becomes of
//! those that nobody reads.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{Running, soon};

#[tokio::test]
async fn an_application_may_answer_an_upload_and_close() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Running::before("public", &format!("http://{}", listener.local_addr().unwrap())).await;
    let app = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 100]).await.unwrap();
            let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for client in [gateway.client(), gateway.http2_client()] {
        for _ in 0..20 {
            let upload = client.put(gateway.url("/")).body(vec![b'x'; 200_000]);
            let answer = soon(upload.send()).await.unwrap();
            assert_eq!(answer.status(), 413, "{:?}", answer.version());
            assert_eq!(soon(answer.text()).await.unwrap(), "no");
        }
    }
    app.abort();
}
