"""The compiled loop of the triples: from W of one (i, j, k) to what its derivatives need.

The six permutations of (a, b, c) share a denominator and mix among themselves only, so they are
read, combined and written together, in tiles that keep all six within the cache. Equations and
names are those of `triples`; `_acb` arrays hold b and c swapped.
"""

import numba

TILE = 16
_compiled = numba.njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
_inlined = numba.njit(inline="always")


@_inlined
def _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, a, b, c):
    return ov_ij[a, b] * t_k[c] + ov_ik[a, c] * t_j[b] + ov_jk[b, c] * t_i[a]


@_inlined
def _put(array, array_acb, a, b, c, value):
    array[a, b, c] = value
    array_acb[a, c, b] = value


@_inlined
def _put_spin_sums(array, array_acb, a, b, c, weight, even, odd):
    """`even`: values at abc, bca, cab; `odd`: at bac, acb, cba."""
    evens, odds = even[0] + even[1] + even[2], odd[0] + odd[1] + odd[2]
    of_even, of_odd = weight * (evens - 2 * odds), weight * (odds - 2 * evens)
    thrice = 3 * weight
    _put(array, array_acb, a, b, c, thrice * even[0] + of_even)
    _put(array, array_acb, b, c, a, thrice * even[1] + of_even)
    _put(array, array_acb, c, a, b, thrice * even[2] + of_even)
    _put(array, array_acb, b, a, c, thrice * odd[0] + of_odd)
    _put(array, array_acb, a, c, b, thrice * odd[1] + of_odd)
    _put(array, array_acb, c, b, a, thrice * odd[2] + of_odd)


@_compiled
def fill(
    w, w_acb, z, z_acb, r, r_acb, y, y_acb, ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, energy, e_v, weight
):
    """Fill z (total), r (energy weights) and y (amplitude weights), plain and swapped."""
    n = e_v.shape[0]
    for a0 in range(0, n, TILE):
        for b0 in range(0, a0 + 1, TILE):
            for c0 in range(0, b0 + 1, TILE):
                for a in range(a0, min(a0 + TILE, n)):
                    for b in range(b0, min(b0 + TILE, a + 1)):
                        for c in range(c0, min(c0 + TILE, b + 1)):
                            inverse = 1 / (energy - e_v[a] - e_v[b] - e_v[c])
                            w0 = (w[a, b, c] + w_acb[a, c, b]) * inverse
                            w1 = (w[b, c, a] + w_acb[b, a, c]) * inverse
                            w2 = (w[c, a, b] + w_acb[c, b, a]) * inverse
                            w3 = (w[b, a, c] + w_acb[b, c, a]) * inverse
                            w4 = (w[a, c, b] + w_acb[a, b, c]) * inverse
                            w5 = (w[c, b, a] + w_acb[c, a, b]) * inverse
                            v0 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, a, b, c)
                            v1 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, b, c, a)
                            v2 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, c, a, b)
                            v3 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, b, a, c)
                            v4 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, a, c, b)
                            v5 = _disconnected(ov_ij, ov_ik, ov_jk, t_i, t_j, t_k, c, b, a)
                            z0, z1, z2 = w0 + v0 * inverse, w1 + v1 * inverse, w2 + v2 * inverse
                            z3, z4, z5 = w3 + v3 * inverse, w4 + v4 * inverse, w5 + v5 * inverse
                            _put(z, z_acb, a, b, c, z0)
                            _put(z, z_acb, b, c, a, z1)
                            _put(z, z_acb, c, a, b, z2)
                            _put(z, z_acb, b, a, c, z3)
                            _put(z, z_acb, a, c, b, z4)
                            _put(z, z_acb, c, b, a, z5)
                            even, odd = (w0, w1, w2), (w3, w4, w5)
                            _put_spin_sums(r, r_acb, a, b, c, weight, even, odd)
                            even, odd = (w0 + z0, w1 + z1, w2 + z2), (w3 + z3, w4 + z4, w5 + z5)
                            _put_spin_sums(y, y_acb, a, b, c, weight, even, odd)
