"""Forwards connections to another port, each byte later by half a round trip.

``python delayed_proxy.py PORT MILLISECONDS`` prints its own port. Opening a connection
takes a round trip too. Bytes wait, and do not queue up behind each other: the rate is
that of the machine.
"""

import asyncio
import sys


async def pump(reader, writer, delay):
    loop = asyncio.get_running_loop()
    waiting = asyncio.Queue()

    async def deliver():
        while (item := await waiting.get()) is not None:
            due, data = item
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(data)
            await writer.drain()
        writer.close()

    delivering = asyncio.create_task(deliver())
    try:
        while data := await reader.read(1 << 18):
            waiting.put_nowait((loop.time() + delay, data))
    except ConnectionError:
        pass
    finally:
        waiting.put_nowait(None)
        await asyncio.gather(delivering, return_exceptions=True)


async def main(port, delay):
    async def serve(reader, writer):
        await asyncio.sleep(2 * delay)
        try:
            there = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            pump(reader, there[1], delay), pump(there[0], writer, delay)
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 2000))
