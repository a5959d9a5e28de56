"""A stand-in for a server that fails: FAULT strikes in start START of a run, from completion request REQUEST on.

It answers as vLLM does otherwise, and writes what happens to it into the file `events` of its folder.
Usage: server.py PORT FAULT START REQUEST [anything]
"""

import itertools
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import threading
import time

port, fault, start, request = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
TOKEN = 0.004
FOR_EVER = 600
EVENTS = os.path.abspath("events")


def tell(event):
    with open(EVENTS, "a") as events:
        events.write(f"start {ordinal} {event}\n")


ordinal = 1
if os.path.exists(EVENTS):
    ordinal += open(EVENTS).read().count("begins")
tell("begins")
strikes_now = ordinal >= start
numbers = itertools.count(1)


def asked_to_stop(*_):
    tell("asked to stop")
    if not (fault == "ignores-sigterm" and strikes_now):
        os._exit(0)


def read_request(connection, rest):
    """Path, body, and what follows; None when the client has gone."""
    while b"\r\n\r\n" not in rest:
        piece = connection.recv(65536)
        if not piece:
            return None
        rest += piece
    head, rest = rest.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    while len(rest) < length:
        rest += connection.recv(65536)
    return lines[0].split()[1], rest[:length], rest[length:]


def answer(connection, status, body, kind="application/json"):
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body.encode())


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def piece(connection, text):
    connection.sendall(f"{len(text):x}\r\n{text}\r\n".encode())


def stream(connection, body, stop_at=None, pause=TOKEN):
    """Streams the answer; up to a token where it shall not come to its end."""
    tokens = body["max_tokens"]
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for index in range(tokens):
        if index == stop_at:
            return
        time.sleep(pause)
        reason = "length" if index + 1 == tokens else None
        chunk = {"id": "1", "choices": [{"index": 0, "text": " word", "finish_reason": reason}]}
        piece(connection, f"data: {json.dumps(chunk)}\n\n")
    usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": tokens}
    piece(connection, f"data: {json.dumps({'id': '1', 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n")
    piece(connection, "")


PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def fill_disk():
    with open("out/filling", "wb", buffering=0) as filling:
        try:
            while True:
                filling.write(b"x" * 1024)
        except OSError:
            pass


def complete(connection, body):
    """Answers a completion; whether the connection can be used again."""
    number = next(numbers)
    tell(f"request {number}")
    body = json.loads(body)
    half = body["max_tokens"] // 2
    struck = strikes_now and number >= request
    if struck and fault == "dies":
        print("CUDA error: an illegal memory access was encountered", file=sys.stderr, flush=True)
        os._exit(7)
    elif struck and fault == "hangs":
        time.sleep(FOR_EVER)
    elif struck and fault == "stops-sending":
        stream(connection, body, stop_at=half)
        time.sleep(FOR_EVER)
    elif struck and (fault == "fails" or (fault == "fails-in-part" and number % 4 == 0)):
        answer(connection, 500, '{"error": {"message": "EngineCore encountered an issue", "code": 500}}')
    elif struck and fault == "resets":
        reset(connection)
        return False
    elif struck and fault == "drops":
        time.sleep(0.1)
        return False
    elif struck and fault == "resets-in-the-stream":
        stream(connection, body, stop_at=half)
        reset(connection)
        return False
    elif struck and fault == "closes-in-the-stream":
        stream(connection, body, stop_at=half)
        return False
    elif struck and fault == "no-http":
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    elif struck and fault == "broken-event":
        stream(connection, body, stop_at=half)
        piece(connection, 'data: {"id": "1", "choi\n\n')
    elif struck and fault == "broken-json":
        answer(connection, 200, '{"id": "1", "choices": [{"te')
    elif struck and fault == "endless-header":
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"x-endless: " + b"a" * 1000 + b"\r\n")
    elif struck and fault == "endless-line":
        stream(connection, body, stop_at=half)
        while True:
            piece(connection, "data: " if half else "a" * 65536)
            half = 0
    elif struck and fault == "wrong-type":
        answer(connection, 200, "<html><body>Please sign in</body></html>", "text/html")
    elif struck and fault == "proxy-page":
        answer(connection, 502, PAGE, "text/html")
    elif struck and fault == "slow":
        stream(connection, body, pause=5 * TOKEN)
    elif struck and fault == "too-slow":
        stream(connection, body, pause=0.4)
    else:
        if struck and fault == "fills-the-disk":
            fill_disk()
        elif number == request and struck and fault == "removes-the-folder":
            shutil.rmtree("out")
        stream(connection, body)
        if struck and fault == "closes-idle":
            return bool(select.select([connection], [], [], 0.05)[0])
    return True


def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest = b""
    while True:
        asked = read_request(connection, rest)
        if asked is None:
            break
        path, body, rest = asked
        if path.startswith("/v1/completions"):
            if not complete(connection, body):
                break
        elif path == "/health":
            tell("asked for health")
            if strikes_now and fault == "hangs-while-loading":
                time.sleep(FOR_EVER)
            elif strikes_now and fault == "no-http-while-loading":
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                break
            elif strikes_now and fault == "proxy-page-while-loading":
                answer(connection, 502, PAGE, "text/html")
            elif strikes_now and fault == "dies-while-loading":
                print("RuntimeError: weights are broken", file=sys.stderr, flush=True)
                os._exit(3)
            else:
                loading = strikes_now and fault == "never-ready"
                answer(connection, 503 if loading else 200, "")
        elif path == "/v1/models":
            answer(connection, 200, '{"data": [{"id": "tiny"}]}')
        else:
            answer(connection, 404, '{"detail": "Not Found"}')
    connection.close()


def quietly(connection):
    try:
        serve(connection)
    except OSError:
        pass


signal.signal(signal.SIGTERM, asked_to_stop)
if strikes_now and fault == "dies-at-the-start":
    print("RuntimeError: no such device", file=sys.stderr, flush=True)
    sys.exit(3)
listener = socket.create_server(("127.0.0.1", port), backlog=128)
print("serving", flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=quietly, args=(connection,), daemon=True).start()
