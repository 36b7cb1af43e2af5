"""Runs a command under a real terminal: `terminal.py COLUMNS COMMAND...` prints what the command wrote, errors included."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

columns, command = int(sys.argv[1]), sys.argv[2:]
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
os.close(theirs)
while True:
    try:
        written = os.read(ours, 65536)
    except OSError:
        break
    if not written:
        break
    sys.stdout.buffer.write(written)
sys.exit(child.wait())
