"""`losttick bisect`: which commit, kernel or QEMU shows the bug first?"""
