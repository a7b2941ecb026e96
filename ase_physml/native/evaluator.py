import numpy as np
from ase_physml.native.curves import Array, curves_of, spacing, _numpy
import ase_physml.native.curves as curves_
from ase_physml.native.kernels import Weights, evaluate

def weights_of(model, dtype):
    c=model.config; d=c.width
    def both(w):  # (out,in) -> forward (in,out), back (out,in)
        return np.ascontiguousarray(w.T), np.ascontiguousarray(w)
    def fold(weight,bias,norm):
        g,b=_numpy(norm.weight),_numpy(norm.bias)
        return weight*g, bias+weight@b
    own=np.concatenate([_numpy(model.embedding.weight),_numpy(model.electronegativities)],1)
    comb=_numpy(model.combine.weight); cb=_numpy(model.combine.bias)
    base=own@comb[:,:d].T+cb
    mix=comb[:,d:]@_numpy(model.neighbour_mix.weight)
    L=c.depth
    qkv=np.zeros((L,3,d,d)); qb=np.zeros((L,3,d)); out=np.zeros((L,d,d)); ob=np.zeros((L,d))
    for l,bk in enumerate(model.blocks):
        w,b=fold(_numpy(bk.queries_keys_values.weight),_numpy(bk.queries_keys_values.bias),bk.norm)
        qkv[l]=w.reshape(3,d,d); qb[l]=b.reshape(3,d)
        out[l]=_numpy(bk.out.weight); ob[l]=_numpy(bk.out.bias)
    pair=np.zeros((2,d,d)); pb=np.zeros((2,d)); betas=np.zeros((5,d)); bb=np.zeros(5)
    if model.pair_energy is not None:
        pe=model.pair_energy
        pair[0],pb[0]=fold(_numpy(pe.first.weight),_numpy(pe.first.bias),model.norm)
        pair[1],pb[1]=fold(_numpy(pe.second.weight),np.zeros(d),model.norm)
        betas=0.5*_numpy(pe.betas.weight); bb=_numpy(pe.betas.bias)+np.array([0,*pe.start,0])
    atom=np.zeros((d//2,d)); ab=np.zeros(d//2); ao=np.zeros(d//2)
    const=_numpy(model.element_bias)
    if model.atom_head is not None:
        atom,ab=fold(_numpy(model.atom_head[0].weight),_numpy(model.atom_head[0].bias),model.norm)
        ao=_numpy(model.atom_head[2].weight)[0]; const=const+_numpy(model.atom_head[2].bias)
    cv=np.stack([curves_of(model,s) for s in range(len(c.elements))])
    t=lambda a: a.swapaxes(-1,-2)
    ws=[base,own,t(mix),mix,t(qkv),qkv,qb,t(out),out,ob,t(pair),pair,pb,betas,bb,t(atom),atom,ab,ao,const,_numpy(model.radii),cv,np.array([1.0,1e15])]
    return Weights(*(np.ascontiguousarray(w).astype(dtype) for w in ws))

class Native:
    def __init__(self,model,dtype="float64"):
        c=model.config
        self.w=weights_of(model,dtype); self.c=c
        self.step=spacing(c.cutoff)
        self.species=model.species_of.numpy()
    def __call__(self,numbers,positions,starts):
        c=self.c
        return evaluate(self.w,c.heads,(c.atom_energy,c.pair_energy),(c.cutoff,c.pair_cutoff or 1e30,c.pair_cutoff or 1e30),self.step,self.species[numbers],starts,positions,np.empty((2,0),np.int64),np.empty((0,3)),False)
