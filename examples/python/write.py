"""Creates a small tree and writes to it:  python write.py [HOST:PORT]"""
import sys

from kazoo.client import KazooClient

PRICES = {
    "/aws/ec2/ebs/gp2": b"0.10",
    "/aws/ec2/ebs/gp3": b"0.08",
    "/aws/ec2/ebs/io2": b"0.125",
    "/aws/s3/standard": b"0.023",
}

client = KazooClient(hosts=sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181")
client.start(timeout=10)
for path, price in PRICES.items():
    client.ensure_path(path)
    stat = client.set(path, price)
    print(f"{path} = {price.decode()} (version {stat.version})")
client.stop()
